"""What is known of a challenger: estimates, support, outlook, hindcast; pure functions of arrays."""

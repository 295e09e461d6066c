"""What is known of a challenger: estimates, support, outlook, hindcast; functions of arrays."""

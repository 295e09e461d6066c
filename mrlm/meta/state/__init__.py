"""What goes from night to night, and whether it still holds."""

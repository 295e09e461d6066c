"""What moves an alias, or checks that every move has its decision."""

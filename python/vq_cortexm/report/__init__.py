"""What a build costs: records per layer, tables for people."""

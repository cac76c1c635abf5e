"""Ahead of time: the program as a list of steps, its static memory plan, the C library."""

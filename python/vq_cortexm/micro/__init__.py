"""Firmware: building it, and running it in the emulator or on this computer."""

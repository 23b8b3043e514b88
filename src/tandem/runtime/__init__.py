"""What a process needs whatever it computes: its parameters, its device, its fellows, its unfinished work."""

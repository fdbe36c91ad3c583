"""The programs built on mailcore: the API, the engine, the emulator, the command line."""

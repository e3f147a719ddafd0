"""The interactive terminal: inline, scrollback kept."""

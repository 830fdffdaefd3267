"""How Rollcall's built-in summariser was made; README.md has the commands in their order."""

"""The eSpeak NG engine and its library."""

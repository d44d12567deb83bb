"""Speech to text: the first stage."""

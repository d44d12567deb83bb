"""Third-party engines, found by name like those of the project, with a delay set in a file."""

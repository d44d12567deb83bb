"""Third-party engines, found through entry points like those of the project, with a delay that is set in a file."""

"""Numbers and sentences as the pages print them."""

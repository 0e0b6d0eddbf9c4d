"""Two variants or more: is the difference real?"""

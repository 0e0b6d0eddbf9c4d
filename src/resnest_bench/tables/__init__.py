"""Tables of one row for each variant."""

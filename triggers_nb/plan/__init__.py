"""Plans: what a change would do, seen before exactly that is done."""

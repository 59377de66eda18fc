"""The keeper of the wished-for state. See docs/life_of_a_change.md for the way of a change through these files."""

"""`lobby simulate` and `lobby evaluate`: what debates can be expected to reach, and what they do reach."""

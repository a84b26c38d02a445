"""`lobby bench`: the figures the project holds itself to, measured on a stack of its own with throw-away data."""

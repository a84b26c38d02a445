"""What a debate is worth: questions with known answers, asked of one sample, of a vote and of a debate, at equal cost.

`items` reads the questions, `arms` asks them, `results` counts what came, `report` shows it.
"""

"""What all commands write to and read from a person or a program: texts, tables, JSON, values of users, questions."""

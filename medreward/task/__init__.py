"""What is asked about an image and what may be answered: tasks, cards, reward settings."""

"""The one way in which training fails for whoever called it; apart, so that catching it loads no model."""


class TrainingError(Exception):
    """Training cannot go on; the message names the place and the remedy."""

"""What is done about tasks that fail or take too long, where a workflow file does not say: the settings decide."""

from nflow.config import Settings
from nflow.models.policy import Policy
from nflow.models.retry import Retry


def usual_policy(settings: Settings) -> Policy:
    """What the settings say, as a workflow file would."""
    said = settings.policy
    retry = Retry(attempts=said.attempts, pause=said.pause) if said.attempts > 1 else None
    return Policy(retry=retry, on_failure=said.on_failure, timeout=said.timeout, deadline=said.deadline)

"""Which model writes: the one that was named, else Claude where there are credentials, else the playbook."""

from cataloger_dagster.agent.claude import ClaudeModel
from cataloger_dagster.agent.credentials import default_model, has_credentials
from cataloger_dagster.agent.model import Model
from cataloger_dagster.agent.playbook import Playbook
from cataloger_dagster.errors import ModelError

OFFLINE = "offline"


def choose_model(name: str | None, effort: str | None = None) -> Model:
    """Return the model called *name*; null chooses by the credentials that the SDK finds.

    Its server is asked whether it takes the key, before a run begins that would end with its first request.

    Raises:
        ModelError: a model is named and there are no credentials, or those there are can't be read or are refused.
    """
    if name == OFFLINE:
        return Playbook()
    if name is None:
        name = default_model()
        if name is None:
            return Playbook()
    elif not has_credentials():
        raise ModelError(
            f"the model {name!r} needs credentials and the SDK finds none. "
            "Set ANTHROPIC_API_KEY, or work without a model: CATALOGER_MODEL=offline (--model offline)"
        )
    model = ClaudeModel(name, effort)
    model.check()
    return model

from typing import Any
def find_flaws(survey: Any, references: Any) -> list[Any]: return []

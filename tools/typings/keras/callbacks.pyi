from typing import Any

class Callback:
    model: Any

def __getattr__(name: str) -> Any: ...

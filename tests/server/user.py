"""A process that uses the server: reads commands from its standard input and answers each by a line of JSON."""

import json
import sys
from pathlib import Path

from nflow.config import load
from nflow.errors import NflowError
from nflow.server import Attachment, attach


def obey(command: str, settings, attachment: Attachment | None) -> tuple[Attachment | None, dict[str, object]]:
    match command:
        case "attach":
            attachment = attach(settings)
        case "watch":
            attachment.watch()
        case "watch and tell":

            def restart() -> None:
                attachment.ensure_running()
                print(json.dumps({"restarted": attachment.url}), flush=True)

            attachment.watch(restart)
        case "ensure":
            attachment.ensure_running()
        case "detach":
            return None, {"stopped": attachment.detach()}
    return attachment, {"url": attachment.url, "server": attachment.folder.pid()}


def main(home: str) -> None:
    settings, attachment = load({"home": Path(home)}), None
    for line in sys.stdin:
        try:
            attachment, answer = obey(line.strip(), settings, attachment)
        except NflowError as error:
            answer = {"error": type(error).__name__, "message": str(error)}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main(sys.argv[1])

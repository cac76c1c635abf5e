"""Project API server of a template and its projects: this computer."""

from pathlib import Path

from vq_cortexm.micro.project_api import server
from vq_cortexm.micro.project_handlers import HostProjectHandler

if __name__ == "__main__":
    server.main(HostProjectHandler(Path(__file__).resolve().parent))

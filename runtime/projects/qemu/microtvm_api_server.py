"""Project API server of a template and its projects: boards that QEMU emulates."""

from pathlib import Path

from vq_cortexm.micro.project_api import server
from vq_cortexm.micro.project_handlers import EmulatedProjectHandler

if __name__ == "__main__":
    server.main(EmulatedProjectHandler(Path(__file__).resolve().parent))

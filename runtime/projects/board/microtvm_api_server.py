"""Project API server of a template and its projects: boards with a probe and a serial port."""

from pathlib import Path

from vq_cortexm.micro.project_api import server
from vq_cortexm.micro.project_handlers import HardwareProjectHandler

if __name__ == "__main__":
    server.main(HardwareProjectHandler(Path(__file__).resolve().parent))

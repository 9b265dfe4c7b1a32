"""The suite of a plugin's author would have the same two imports."""

import os
import sys

from pyln.testing.fixtures import *  # noqa: F401,F403

from no_bitcoind import bitcoind, jsonschemas, node_cls  # noqa: F401

# Plugins start as `#!/usr/bin/env python3`; it is to be the Python that runs the tests, activated or not.
os.environ["PATH"] = os.path.dirname(sys.executable) + os.pathsep + os.environ["PATH"]

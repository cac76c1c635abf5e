"""Measuring elsewhere: servers at TVM's RPC tracker that run images, and the client that uses them.

Farm (client) ── REQUEST ──► tracker ◄── PUT ── Server (each job's emulator or board)
      └──────── a job, its result ────────────────┘
"""

"""A mesh inside this process, for tests and for a first look: ``mesh.run(node, local=True)``.

Routers, sessions, frames and the replicas' side of them are the real ones, so that payloads are encoded and decoded,
queues fill, deadlines pass and streams hold back as they do between processes. What is missing is the processes: all
deployments share one loop, one interpreter and its modules, there is no controller, and nothing dies by itself.
"""

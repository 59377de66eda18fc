"""Starting, watching and ending the processes of one machine.

It knows processes and roles, and nothing of deployments, gRPC or HTTP.
"""

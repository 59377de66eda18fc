"""The door: ``mesh.v1.PredictService`` for clients in any language. JSON and bytes come in and go out, never pickle."""

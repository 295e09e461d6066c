"""What every stage keeps to: inputs, outputs, manifest, context, workspace, fingerprints."""

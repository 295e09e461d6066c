"""What may be said of an estimate: diagnostics, overlap, and the certificate or the refusal."""

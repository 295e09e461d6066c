"""What learns policies from logged feedback: bandit and sequential."""

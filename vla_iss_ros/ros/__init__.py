"""What needs rclpy: parameters, subscriptions, the worker, publishers and diagnostics."""

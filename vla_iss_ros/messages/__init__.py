"""The field's messages in and out, without rclpy: these work on rclpy's classes and on rosbags' alike."""

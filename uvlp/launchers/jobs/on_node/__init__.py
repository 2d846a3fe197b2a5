"""What a job runs on its node: `start` has the cluster queue it again, its child `node` makes the tasks."""

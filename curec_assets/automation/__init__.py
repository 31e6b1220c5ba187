"""When work happens: jobs, schedules and sensors.

Two lanes. The *fast lane* follows every new batch of interactions: reasons under the
current policy, embeddings, recommender. The *slow lane* takes a new training snapshot and teaches
the language model, the reward model and the policy again; it runs on a schedule or by hand.
"""

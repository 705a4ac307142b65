"""What brings the wake-ups of ``django.tasks`` to the workers: the database, or a queue beside it.

A backend puts a task into the queue, and the engine that belongs to it is what a worker runs. None is trusted with
recovery: a wake-up may be lost or come twice, and the leases and the sweep make it good.
"""

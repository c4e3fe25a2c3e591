"""Template sets on disk, and their rendering in a process of its own.

Only `render_worker` imports jinja2, only `folder_watch` watchdog. What a template sees is made in
`relocd.reconcile.template_context`.
"""

from werkzeug.serving import make_server

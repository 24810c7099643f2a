"""One message in, and out again by the topic: pip install pyzmq"""
import zmq

context = zmq.Context()
reader = context.socket(zmq.SUB)
reader.connect("@PUB@")
reader.subscribe("")
intake = context.socket(zmq.PUSH)
intake.connect("@PULL@")
# A subscription takes a moment to arrive; what is published before it is not seen here.
while not reader.poll(100):
    intake.send(b"hello from pyzmq")
print(reader.recv_multipart())

import argparse
import numpy as np

class Net:
    def __init__(self, args):
        self.hidden = args.hidden
        self.lr = args.lr
        self.w1 = np.random.randn(args.n_in, args.hidden) * 0.1
        self.w2 = np.random.randn(args.hidden, args.n_out) * 0.1

    def forward(self, x):
        self.x = x
        self.h = np.tanh(x.dot(self.w1))
        self.o = self.h.dot(self.w2)
        return self.o

    def backward(self, t):
        do = (self.o - t) / len(t)
        dh = do.dot(self.w2.T) * (1 - self.h ** 2)
        self.gw2 = self.h.T.dot(do)
        self.gw1 = self.x.T.dot(dh)

    def apply(self):
        self.w1 -= self.lr * self.gw1
        self.w2 -= self.lr * self.gw2

def parse():
    parser = argparse.ArgumentParser()
    parser.add_argument("--hidden", type=int, default=16)
    parser.add_argument("--lr", type=float, default=0.1)
    parser.add_argument("--n_in", type=int, default=4)
    parser.add_argument("--n_out", type=int, default=2)
    return parser.parse_args()

if __name__ == "__main__":
    args = parse()
    net = Net(args)

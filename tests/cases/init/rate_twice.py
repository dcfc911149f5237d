# -*- coding: utf-8 -*-
"""Red neuronal desde cero (práctica 2, Aprendizaje Automático)"""
import numpy as np


class Capa:
    def __init__(self, entradas, salidas, activacion):
        self.pesos = np.random.randn(entradas, salidas) * np.sqrt(1.0 / entradas)
        self.sesgo = np.zeros((1, salidas))
        self.activacion = activacion
        # velocidades para el momento
        self.vel_pesos = np.zeros_like(self.pesos)
        self.vel_sesgo = np.zeros_like(self.sesgo)

    def adelante(self, X):
        self.X = X
        z = X.dot(self.pesos) + self.sesgo
        self.a = 1 / (1 + np.exp(-z)) if self.activacion == "sigmoide" else np.tanh(z)
        return self.a

    def atras(self, dA):
        if self.activacion == "sigmoide":
            dZ = dA * self.a * (1 - self.a)
        else:
            dZ = dA * (1 - self.a ** 2)
        self.d_pesos = self.X.T.dot(dZ)
        self.d_sesgo = dZ.sum(axis=0, keepdims=True)
        return dZ.dot(self.pesos.T)

    def actualizar(self, tasa, momento):
        self.vel_pesos = momento * self.vel_pesos + tasa * self.d_pesos
        self.vel_sesgo = momento * self.vel_sesgo + tasa * self.d_sesgo
        self.pesos -= tasa * self.vel_pesos
        self.sesgo -= tasa * self.vel_sesgo


class Red:
    def __init__(self, tam=(5, 7, 3), momento=0.9):
        self.capas = [Capa(tam[0], tam[1], "tanh"), Capa(tam[1], tam[2], "sigmoide")]
        self.momento = momento

    def predecir(self, X):
        for c in self.capas:
            X = c.adelante(X)
        return X

    def entrenar_lote(self, X, y, tasa):
        d = 2 * (self.predecir(X) - y) / len(X)
        for c in reversed(self.capas):
            d = c.atras(d)
        for c in self.capas:
            c.actualizar(tasa, self.momento)

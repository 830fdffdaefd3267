package io.rollcall.engine.algebra;

import java.util.Comparator;
import java.util.stream.IntStream;
import org.ejml.data.DMatrixRMaj;
import org.ejml.dense.row.CommonOps_DDRM;
import org.ejml.dense.row.decomposition.TriangularSolver_DDRM;
import org.ejml.dense.row.factory.DecompositionFactory_DDRM;
import org.ejml.interfaces.decomposition.CholeskyDecomposition_F64;
import org.ejml.interfaces.decomposition.EigenDecomposition_F64;

/**
 * Least squares by a linear map of low rank, from inputs X [n x d] to targets Y [n x m] (Izenman,
 * Reduced-rank regression for the multivariate linear model, 1975).
 *
 * <p>With C = X^T X / n + ridge = R R^T, G = X^T Y / n and M = R^-1 G, any W errs by |M - R^T W|^2 and
 * what no W can help. So W = A^T B^T of rank k with A = (R^-T U)^T, where U are the first k left
 * singular vectors of M, and B = (A G)^T.
 */
public final class ReducedRankRegression {
  private ReducedRankRegression() {}

  /**
   * The directions A of the input that a map of rank k looks at, best one first; B follows from them.
   *
   * @param covariance C [d x d], positive definite; overwritten
   * @param response G G^T [d x d]
   * @return A [k x d], with A C A^T = 1
   * @throws IllegalArgumentException when C is not positive definite
   */
  public static double[][] directions(DMatrixRMaj covariance, DMatrixRMaj response, int rank) {
    int d = covariance.numRows;
    DMatrixRMaj inverse = inverseFactor(covariance);
    DMatrixRMaj product = new DMatrixRMaj(d, d);
    DMatrixRMaj square = new DMatrixRMaj(d, d); // M M^T
    CommonOps_DDRM.mult(inverse, response, product);
    CommonOps_DDRM.multTransB(product, inverse, square);
    EigenDecomposition_F64<DMatrixRMaj> eigen = DecompositionFactory_DDRM.eig(d, true, true);
    if (!eigen.decompose(square)) {
      throw new IllegalArgumentException("the responses' eigenvectors were not found");
    }
    DMatrixRMaj direction = new DMatrixRMaj(d, 1);
    return IntStream.range(0, d)
        .boxed()
        .sorted(Comparator.comparingDouble(i -> -eigen.getEigenvalue(i).getReal()))
        .limit(rank)
        .map(
            i -> {
              CommonOps_DDRM.multTransA(inverse, eigen.getEigenVector(i), direction);
              return direction.data.clone();
            })
        .toArray(double[][]::new);
  }

  /** R^-1 of C = R R^T. */
  private static DMatrixRMaj inverseFactor(DMatrixRMaj covariance) {
    CholeskyDecomposition_F64<DMatrixRMaj> cholesky =
        DecompositionFactory_DDRM.chol(covariance.numRows, true);
    if (!cholesky.decompose(covariance)) {
      throw new IllegalArgumentException("the inputs' covariance is not positive definite");
    }
    DMatrixRMaj inverse = cholesky.getT(null);
    TriangularSolver_DDRM.invertLower(inverse.data, inverse.numRows);
    return inverse;
  }
}
